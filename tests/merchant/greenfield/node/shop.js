// What a shop does through the Node client of the Greenfield API, printed as JSON.
// usage: node shop.js buys|changes|pays|marks|hooks|deliveries|errs …

"use strict";

const client = require("btcpay-greenfield-node-client");

const { ApiError, InvoicesService, OpenAPI, StoresService, WebhooksService } = client;
const storeId = process.env.STORE;
const [what, first, second] = process.argv.slice(2);

OpenAPI.BASE = process.env.SERVER;
OpenAPI.TOKEN = process.env.KEY;

const acts = {
  async buys() {
    const made = await InvoicesService.invoicesCreateInvoice({
      storeId,
      requestBody: {
        amount: "0.0005",
        currency: "BTC",
        metadata: { orderId: first, itemDesc: "Tea" },
        checkout: { speedPolicy: "MediumSpeed", expirationMinutes: 20 },
      },
    });
    const shown = await InvoicesService.invoicesGetInvoice({ storeId, invoiceId: made.id });
    const listed = await InvoicesService.invoicesGetInvoices({ storeId });
    const stores = await StoresService.storesGetStores();
    return { made, shown, listed: listed.map((each) => each.id), stores: stores.length };
  },

  async changes() {
    const of = { storeId, invoiceId: first };
    const requestBody = { metadata: { orderId: second } };
    const changed = await InvoicesService.invoicesUpdateInvoice({ ...of, requestBody });
    await InvoicesService.invoicesArchiveInvoice(of);
    const archived = await InvoicesService.invoicesGetInvoice(of);
    const back = await InvoicesService.invoicesUnarchiveInvoice(of);
    return { metadata: changed.metadata, archived: archived.archived, back: back.archived };
  },

  pays() {
    return InvoicesService.invoicesGetInvoicePaymentMethods({ storeId, invoiceId: first });
  },

  marks() {
    const requestBody = { status: second };
    return InvoicesService.invoicesMarkInvoiceStatus({ storeId, invoiceId: first, requestBody });
  },

  async hooks() {
    const requestBody = { url: first, authorizedEvents: { everything: true } };
    const made = await WebhooksService.postWebhooksService({ storeId, requestBody });
    const found = await WebhooksService.webhokksGetWebhook({ storeId, webhookId: made.id });
    return { made, found };
  },

  async deliveries() {
    const of = { storeId, webhookId: first };
    const found = await WebhooksService.getWebhooksService({ ...of, count: "5" });
    const deliveryId = found[0].id;
    const request = await WebhooksService.getWebhooksService2({ ...of, deliveryId });
    const again = await WebhooksService.postWebhooksService1({ ...of, deliveryId });
    await WebhooksService.deleteWebhooksService(of);
    return { statuses: found.map((each) => each.status), request, again };
  },

  async errs() {
    try {
      await InvoicesService.invoicesGetInvoice({ storeId, invoiceId: first });
    } catch (error) {
      return { known: error instanceof ApiError, status: error.status, body: error.body };
    }
    return {};
  },
};

acts[what]().then((told) => process.stdout.write(JSON.stringify(told)));
