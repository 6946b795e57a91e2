// What is told of a place under the pointer or the keyboard's cursor; read out to those who listen.
(function (netmesh) {
  "use strict";

  /** {show(lines, x, y, aloud), hide()}: the first line is the title; positions are the window's. What the keyboard's
   * cursor comes to is read `aloud`: by an element that is always there, as one that appears is not read by all. */
  netmesh.tip = function tip(owner) {
    const box = document.createElement("div");
    box.className = "tip";
    box.setAttribute("aria-hidden", "true");
    box.hidden = true;
    const voice = document.createElement("div");
    voice.className = "spoken";
    voice.setAttribute("role", "status");
    owner.after(box, voice);

    function show(lines, x, y, aloud = false) {
      if (aloud) voice.textContent = lines.join(". ");
      box.replaceChildren(
        ...lines.map((line, index) => {
          const part = document.createElement(index ? "div" : "strong");
          part.textContent = line;
          return part;
        }),
      );
      box.hidden = false;
      const { width, height } = box.getBoundingClientRect();
      const left = x + 14 + width > innerWidth ? Math.max(4, x - 14 - width) : x + 14;
      const top = y + 14 + height > innerHeight ? Math.max(4, y - 14 - height) : y + 14;
      box.style.left = `${left}px`;
      box.style.top = `${top}px`;
    }

    return { show, hide: () => { box.hidden = true; } };
  };
})((window.netmesh = window.netmesh || {}));
