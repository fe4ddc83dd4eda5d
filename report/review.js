"use strict";
// The buttons and keys of a review. What is shown as decided is what the server has saved.
const samples = [...document.querySelectorAll(".sample")];
const status = document.getElementById("status");

async function decide(sample, action, label) {
  try {
    const answer = await fetch("/decide", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ index: Number(sample.dataset.index), action, label: Number(label) || 0 }),
    });
    if (!answer.ok) throw new Error(await answer.text());
    const { decided } = await answer.json();
    for (const same of samples.filter((s) => s.dataset.index === sample.dataset.index)) show(same, action, label);
    status.className = "";
    status.textContent = decided + " decided.";
  } catch (problem) {
    show(sample, sample.dataset.decision, sample.dataset.label);
    status.className = "bad";
    status.textContent = "Not saved: " + problem.message;
  }
}

function show(sample, action, label) {
  sample.dataset.decision = action;
  sample.dataset.label = label ?? "";
  for (const button of sample.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.dataset.action === action));
  }
  sample.querySelector("select").value = action === "relabel" ? label : "";
}

function go(step) {
  const at = samples.indexOf(document.activeElement.closest(".sample"));
  const to = samples[Math.min(samples.length - 1, Math.max(0, at + step))];
  to.focus();
  to.scrollIntoView({ block: "nearest" });
}

for (const sample of samples) {
  const select = sample.querySelector("select");
  sample.dataset.label = select.value;
  for (const button of sample.querySelectorAll("button")) {
    button.addEventListener("click", () => {
      const again = sample.dataset.decision === button.dataset.action;
      decide(sample, again ? "" : button.dataset.action);
    });
  }
  select.addEventListener("change", () => {
    decide(sample, select.value === "" ? "" : "relabel", select.value);
  });
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const sample = document.activeElement.closest(".sample");
  if (document.activeElement.tagName === "SELECT") {
    if (event.key === "Escape") sample.focus();
    return;
  }
  const key = event.key.toLowerCase();
  if (key === "j") go(1);
  else if (key === "k") go(-1);
  else if (!sample) return;
  else if (key === "1") decide(sample, "keep");
  else if (key === "2") decide(sample, "drop");
  else if (key === "3") sample.querySelector("select").focus();
  else if (key === "0") decide(sample, "");
  else return;
  event.preventDefault();
});
document.documentElement.dataset.review = "ready";
