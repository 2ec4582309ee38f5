// Titles become one tooltip for mouse, touch and keyboard; arrow keys walk along a chart. Without this script the titles still work.
(() => {
  "use strict";
  const tip = document.getElementById("tip");
  const say = (mark) => mark.getAttribute("aria-label");
  let shown = null;

  for (const title of document.querySelectorAll("svg title")) {
    title.parentNode.setAttribute("aria-label", title.textContent);
    title.remove();
  }

  function show(mark, x, y) {
    shown = mark;
    tip.textContent = say(mark);
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const left = Math.max(8, Math.min(x - box.width / 2, innerWidth - box.width - 8));
    const above = y - box.height - 14;
    tip.style.left = left + "px";
    tip.style.top = (above < 8 ? y + 18 : above) + "px";
  }

  function hide() {
    shown = null;
    tip.hidden = true;
  }

  const markOf = (event) => event.target.closest && event.target.closest(".mark");
  document.addEventListener("pointermove", (event) => {
    const mark = markOf(event);
    if (mark) show(mark, event.clientX, event.clientY);
    else if (shown && event.pointerType === "mouse") hide();
  });
  document.addEventListener("pointerdown", (event) => {
    const mark = markOf(event);
    if (mark) show(mark, event.clientX, event.clientY);
    else hide();
  });
  document.addEventListener("focusin", (event) => {
    const mark = markOf(event);
    if (!mark || !mark.matches(":focus-visible")) return;
    const box = mark.getBoundingClientRect();
    show(mark, box.left + box.width / 2, box.top);
  });
  document.addEventListener("focusout", (event) => {
    if (shown && shown === markOf(event)) hide();
  });
  document.addEventListener("scroll", hide, { passive: true, capture: true });

  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return hide();
    const mark = markOf(event);
    if (!mark) return;
    const marks = [...mark.closest("svg.chart").querySelectorAll(".mark")];
    const rows = marks.filter((other) => other.getBoundingClientRect().left === mark.getBoundingClientRect().left);
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key] || 0;
    const turn = { ArrowDown: 1, ArrowUp: -1 }[event.key] || 0;
    const next = step ? marks[marks.indexOf(mark) + step] : turn ? rows[rows.indexOf(mark) + turn] : null;
    if (step || turn) event.preventDefault();
    if (next) {
      mark.setAttribute("tabindex", "-1");
      next.setAttribute("tabindex", "0");
      next.focus({ focusVisible: true });
    }
  });

  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((part) => (part.open = true)));
})();
