"use strict";

/* The checkout page in the frame of a shop's page (`btcpay.js`): it tells that page where the
   invoice stands. Only sites that may frame it hear that, and they know the invoice already. */

const framed = document.querySelector("main");
let told = null;

function tell(message) {
  if (window.parent !== window) window.parent.postMessage(message, "*");
}

function tellStatus() {
  if (framed.dataset.status === told) return;
  told = framed.dataset.status;
  tell({ invoiceId: framed.dataset.invoice, status: told });
}

document.querySelector("[data-close]").addEventListener("click", () => tell("close"));

document.addEventListener("keydown", (event) => {
  if (event.key === "Escape") tell("close");
});

new MutationObserver(tellStatus).observe(framed, { attributeFilter: ["data-status"] });

tell("loaded");
tellStatus();
