"use strict";

/* Passkeys: the browser lets a device sign what the server has sent, and a form takes the answer
   back. Without this, the form with the password does all that is needed. */

const PARTS = ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"];

class Told extends Error {}

function toBytes(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (each) => each.charCodeAt(0));
}

function toText(buffer) {
  const plain = Array.from(new Uint8Array(buffer), (each) => String.fromCharCode(each)).join("");
  return btoa(plain).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function fromJson(options) {
  const read = { ...options, challenge: toBytes(options.challenge) };
  if (options.user) read.user = { ...options.user, id: toBytes(options.user.id) };
  if (options.excludeCredentials) {
    read.excludeCredentials = options.excludeCredentials.map(
      (each) => ({ ...each, id: toBytes(each.id) }),
    );
  }
  return read;
}

function toJson(credential) {
  const response = {};
  for (const part of PARTS) {
    if (credential.response[part]) response[part] = toText(credential.response[part]);
  }
  const { id, type, rawId } = credential;
  return JSON.stringify({ id, type, rawId: toText(rawId), response, clientExtensionResults: {} });
}

async function ask(form) {
  const body = new URLSearchParams(new FormData(form));
  const answer = await fetch(form.dataset.options, { method: "POST", body });
  const told = await answer.json();
  if (!answer.ok) throw new Told(told.words);
  const publicKey = fromJson(told);
  return form.dataset.passkey === "create"
    ? navigator.credentials.create({ publicKey })
    : navigator.credentials.get({ publicKey });
}

async function send(form) {
  const [button, trouble] = [form.querySelector("button"), form.querySelector(".error")];
  trouble.hidden = true;
  button.disabled = true;
  try {
    form.elements.answer.value = toJson(await ask(form));
    if (form.elements.password) form.elements.password.disabled = true;
    form.submit();
  } catch (error) {
    trouble.textContent = error instanceof Told ? error.message : form.dataset.failed;
    trouble.hidden = false;
    button.disabled = false;
  }
}

if (window.PublicKeyCredential && navigator.credentials) {
  for (const form of document.querySelectorAll("[data-passkey]")) {
    form.hidden = false;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      send(form);
    });
  }
}
