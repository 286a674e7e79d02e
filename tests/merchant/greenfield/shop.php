<?php

// What a shop does through the public PHP client of the Greenfield API, printed as JSON.
// usage: php shop.php LIBRARY buys|hears|refunds … ; the server, key and store are in the environment.

declare(strict_types=1);

use BTCPayServer\Client\ApiKey;
use BTCPayServer\Client\Invoice;
use BTCPayServer\Client\InvoiceCheckoutOptions;
use BTCPayServer\Client\Server;
use BTCPayServer\Client\Store;
use BTCPayServer\Client\StorePaymentMethod;
use BTCPayServer\Client\Webhook;
use BTCPayServer\Util\PreciseNumber;

require $argv[1] . '/src/autoload.php';

$at = [getenv('SERVER'), getenv('KEY')];
$store = getenv('STORE');
$invoices = new Invoice(...$at);
$webhooks = new Webhook(...$at);

function told(array $results): void
{
    echo json_encode($results, JSON_THROW_ON_ERROR);
}

function invoice($result): array
{
    return [
        'id' => $result->getId(),
        'amount' => $result->getAmount()->__toString(),
        'currency' => $result->getCurrency(),
        'type' => $result->getType(),
        'page' => $result->getCheckoutLink(),
        'lives' => $result->getExpirationTime() - $result->getCreatedTime(),
        'monitored' => $result->getMonitoringTime() - $result->getExpirationTime(),
        'archived' => $result->isArchived(),
        'new' => $result->isNew(),
        'settled' => $result->isSettled(),
        'invalid' => $result->isInvalid(),
        'marked' => $result->isMarked(),
        'partial' => $result->isPartiallyPaid(),
        'over' => $result->isOverpaid(),
    ];
}

switch ($argv[2]) {
    case 'looks':
        $info = (new Server(...$at))->getInfo();
        $one = (new Store(...$at))->getStore($store);
        $key = (new ApiKey(...$at))->getCurrent();
        $methods = (new StorePaymentMethod(...$at))->getPaymentMethods($store);
        told([
            'version' => $info->getVersion(),
            'supported' => $info->getSupportedPaymentMethods(),
            'synced' => $info->isFullySynced(),
            'stores' => count((new Store(...$at))->getStores()),
            'name' => $one->getName(),
            'expires' => $one->getInvoiceExpiration(),
            'permissions' => $key->getPermissions(),
            'same key' => $key->getApiKey() === getenv('KEY'),
            'methods' => array_map(fn ($each) => [$each->getData()['paymentMethod'], $each->isEnabled()], $methods),
        ]);
        break;
    case 'buys':
        $options = (new InvoiceCheckoutOptions())
            ->setSpeedPolicy(InvoiceCheckoutOptions::SPEED_LOWMEDIUM)
            ->setExpirationMinutes(20)
            ->setRedirectURL('https://shop.example/thanks')
            ->setPaymentMethods(['BTC-CHAIN']);
        $made = $invoices->createInvoice(
            $store,
            'BTC',
            PreciseNumber::parseString('0.00050000'),
            $argv[3],
            'customer@shop.example',
            ['itemDesc' => 'Tea'],
            $options
        );
        $found = $invoices->getInvoicesByOrderIds($store, [$argv[3]], 5);
        $new = $invoices->getInvoicesByStatus($store, ['New', 'Processing'], 5, 0);
        told([
            'made' => invoice($made),
            'metadata' => $made->getData()['metadata'],
            'checkout' => $made->getData()['checkout'],
            'shown' => invoice($invoices->getInvoice($store, $made->getId())),
            'by order' => array_map(fn ($each) => $each->getId(), $found->all()),
            'new' => in_array($made->getId(), array_map(fn ($each) => $each->getId(), $new->all())),
        ]);
        break;
    case 'pays':
        $methods = $invoices->getPaymentMethods($store, $argv[3]);
        told(array_map(fn ($each) => [
            'method' => $each->getPaymentMethod(),
            'code' => $each->getCryptoCode(),
            'destination' => $each->getDestination(),
            'rate' => $each->getRate(),
            'paid' => $each->getTotalPaid(),
            'due' => $each->getDue(),
            'fee' => $each->getNetworkFee(),
            'payments' => array_map(fn ($payment) => [
                $payment->getTransactionId(),
                $payment->getReceivedTimestamp(),
                $payment->getValue(),
                $payment->getFee(),
                $payment->getStatus(),
                $payment->getDestination(),
            ], $each->getPayments()),
        ], $methods));
        break;
    case 'marks':
        told(invoice($invoices->markInvoiceStatus($store, $argv[3], $argv[4])));
        break;
    case 'hooks':
        $made = $webhooks->createWebhook($store, $argv[3], ['InvoiceSettled', 'InvoiceInvalid'], null);
        $id = $made->getData()['id'];
        $shown = $webhooks->getWebhook($store, $id);
        $webhooks->updateWebhook($store, $argv[3], $id, ['InvoiceSettled', 'InvoiceReceivedPayment']);
        told([
            'id' => $id,
            'secret' => $made->getSecret(),
            'enabled' => $shown->isEnabled(),
            'url' => $shown->getUrl(),
            'events' => $webhooks->getWebhook($store, $id)->getAuthorizedEvents()->getSpecificEvents(),
            'count' => count($webhooks->getStoreWebhooks($store)->all()),
        ]);
        break;
    case 'checks':
        $body = stream_get_contents(STDIN);
        told([
            'right' => Webhook::isIncomingWebhookRequestValid($body, $argv[3], $argv[4]),
            'changed' => Webhook::isIncomingWebhookRequestValid($body . ' ', $argv[3], $argv[4]),
        ]);
        break;
    case 'deliveries':
        $latest = $webhooks->getLatestDeliveries($store, $argv[3], '5')->all();
        $again = $webhooks->redeliverDelivery($store, $argv[3], $latest[0]->getId());
        $statuses = array_map(fn ($each) => [$each->getStatus(), $each->getHttpCode()], $latest);
        $webhooks->deleteWebhook($store, $argv[3]);
        told(['statuses' => $statuses, 'again' => $again]);
        break;
    case 'refunds':
        $made = $invoices->refundInvoice($store, $argv[3], 'OverpaidAmount');
        told([
            'id' => $made->getId(),
            'amount' => $made->getAmount()->__toString(),
            'currency' => $made->getCurrency(),
            'name' => $made->getName(),
            'page' => $made->getViewLink(),
            'archived' => $made->isArchived(),
        ]);
        break;
    case 'changes':
        $changed = $invoices->updateInvoice($store, $argv[3], ['orderId' => $argv[4]]);
        told(['id' => $changed->getId(), 'metadata' => $changed->getData()['metadata']]);
        break;
    case 'asks':
        $permissions = array_slice($argv, 4);
        told(['url' => ApiKey::getAuthorizeUrl($at[0], $permissions, 'Tea Press', true, true, $argv[3], null)]);
        break;
    case 'errs':
        try {
            $invoices->getInvoice($store, $argv[3]);
        } catch (\BTCPayServer\Exception\BTCPayException $error) {
            told(['code' => $error->getCode(), 'message' => $error->getMessage()]);
        }
        break;
}
