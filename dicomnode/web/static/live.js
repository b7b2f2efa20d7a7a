"use strict";
// Keeps every part that names its address in data-live as fresh as the node knows it, while somebody looks.
const PAUSE_MS = 1500;
const lost = document.getElementById("lost");

function show(part, text) {
  const fresh = document.createElement("template");
  fresh.innerHTML = text; // the server escaped every value
  if (fresh.innerHTML === part.innerHTML.trim()) return;
  const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
  part.replaceChildren(fresh.content);
  if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
}

async function refresh(part) {
  const answer = await fetch(part.dataset.live, { cache: "no-store" });
  if (answer.status === 401) location.reload(); // the session ended
  if (answer.ok) show(part, (await answer.text()).trim());
}

async function refreshAll() {
  if (!document.hidden) {
    try {
      await Promise.all([...document.querySelectorAll("[data-live]")].map(refresh));
      lost.hidden = true;
      document.getElementById("seen-at").textContent = new Date().toLocaleTimeString();
    } catch {
      lost.hidden = false; // no answer: the node is down or out of reach
    }
  }
  setTimeout(refreshAll, PAUSE_MS);
}

refreshAll();
