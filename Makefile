# Two commands are all a newcomer needs: `make sweep` and `make test`.
BIN := .venv/bin
PY := proto common agent controller tests bench

.PHONY: sweep test lint proto schema lock bench install format

sweep: install
	$(BIN)/netmesh-controller sweep --lab 4

test:
	@scripts/install test
	$(BIN)/python -m pytest $(ARGS)

lint: install
	scripts/lint

bench: install
	$(BIN)/python -m bench $(ARGS)

format: install
	$(BIN)/ruff check --fix $(PY) && $(BIN)/ruff format $(PY)

proto: install
	scripts/proto

schema: install
	scripts/schema

lock: install
	scripts/lock

install:
	@scripts/install
