"""The mesh, watched all the time: agents kept probing, their reports read, windows judged, history written."""
