"use strict";

/* The form works without this: numbers are typed, and the server adds them up. With it there are
   buttons to press, and the total is seen at once. */

document.documentElement.classList.add("js");

const form = document.querySelector("form");
const amount = document.getElementById("amount");
const total = document.getElementById("total");
const decimals = Number(form.dataset.decimals);
const MOST_DIGITS = 9;
const MOST_OF_ONE = 99;

/* Amounts are whole numbers of the smallest unit, such as cents. */

function unitsOf(text) {
  const found = /^(\d{1,9})(?:[.,](\d*))?$/.exec(text.trim());
  if (!found || (found[2] || "").length > decimals) return 0;
  return Number(found[1] + (found[2] || "").padEnd(decimals, "0"));
}

function countOf(field) {
  return /^\d{1,2}$/.test(field.value.trim()) ? Number(field.value) : 0;
}

function shown(units) {
  const digits = String(units).padStart(decimals + 1, "0");
  const whole = digits.slice(0, digits.length - decimals);
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, form.dataset.group);
  const rest = decimals ? form.dataset.point + digits.slice(-decimals) : "";
  return `${grouped}${rest}\u00a0${form.dataset.unit}`;
}

function add() {
  let sum = amount ? unitsOf(amount.value) : 0;
  for (const field of form.querySelectorAll("[data-units]")) {
    sum += countOf(field) * Number(field.dataset.units);
  }
  const tip = form.querySelector("[name=tip]:checked");
  if (tip) sum += Math.floor((sum * Number(tip.value) + 50) / 100);
  const text = shown(sum);
  if (total.textContent !== text) total.textContent = text;
}

function step(button) {
  const field = document.getElementById(button.dataset.for);
  const next = countOf(field) + Number(button.dataset.step);
  field.value = next > 0 ? String(Math.min(next, MOST_OF_ONE)) : "";
}

function press(key) {
  const text = amount.value;
  if (key === "back") {
    amount.value = text.slice(0, -1);
    return;
  }
  if (key === ".") {
    if (!/[.,]/.test(text)) amount.value = (text || "0") + form.dataset.point;
    return;
  }
  const [whole, part] = (text === "0" ? "" : text).split(/[.,]/);
  if (part === undefined ? whole.length + key.length > MOST_DIGITS : part.length >= decimals) return;
  amount.value = whole === "" && /^0+$/.test(key) ? "0" : (text === "0" ? "" : text) + key;
}

form.addEventListener("click", (event) => {
  const button = event.target.closest("button[type=button]");
  if (!button) return;
  if (button.dataset.step) step(button);
  if (button.dataset.key) press(button.dataset.key);
  add();
});

form.addEventListener("input", add);
window.addEventListener("pageshow", add);
add();
