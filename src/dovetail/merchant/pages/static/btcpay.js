"use strict";

/* For pages of shops: shows the page of an invoice in a frame over theirs. The names are those of
   the script that BTCPay Server has at the same path. It needs nothing of the shop's page. */

window.btcpay = (() => {
  const own = document.currentScript;
  const WHOLE = "position:fixed;inset:0;width:100%;height:100%;border:0;margin:0;padding:0;";
  let base = own ? own.src.replace(/\/modal\/btcpay\.js.*$/, "") : location.origin;
  let dialog = null;
  let frame = null;
  let overflow = "";
  let heard = () => {};
  let enters = () => {};
  let leaves = () => {};

  function origin() {
    return new URL(base, location.href).origin;
  }

  function make() {
    dialog = document.createElement("dialog");
    dialog.style.cssText = `${WHOLE}max-width:none;max-height:none;overflow:hidden;background:transparent;`;
    dialog.addEventListener("cancel", (event) => {
      event.preventDefault();
      hideFrame();
      heard(new MessageEvent("message", { data: "close", origin: origin() }));
    });
    frame = document.createElement("iframe");
    frame.name = "btcpay";
    frame.title = "Payment";
    frame.allow = "clipboard-write";
    frame.style.cssText = WHOLE;
    dialog.append(frame);
    document.body.append(dialog);
  }

  function showFrame() {
    if (dialog === null || dialog.open) return;
    enters();
    overflow = document.body.style.overflow;
    document.body.style.overflow = "hidden";
    dialog.showModal();
    frame.focus();
  }

  function hideFrame() {
    if (dialog === null || !dialog.open) return;
    leaves();
    dialog.close();
    document.body.style.overflow = overflow;
  }

  function showInvoice(invoiceId) {
    if (dialog === null) make();
    frame.src = `${base}/i/${encodeURIComponent(invoiceId)}?view=modal`;
    showFrame();
  }

  window.addEventListener("message", (event) => {
    if (frame === null || event.source !== frame.contentWindow) return;
    if (event.origin !== origin()) return;
    if (event.data === "close") hideFrame();
    heard(event);
  });

  return {
    setApiUrlPrefix(url) { base = String(url).replace(/\/+$/, ""); },
    showInvoice,
    showFrame,
    hideFrame,
    onModalWillEnter(callback) { enters = callback; },
    onModalWillLeave(callback) { leaves = callback; },
    onModalReceiveMessage(callback) { heard = callback; },
  };
})();
