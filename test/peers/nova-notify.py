# Sends a versioned notification as Nova does: by oslo.messaging, in the topic exchange of the project "nova".
# nova-notify.py URL MAC..., and on standard input a line each: HOST EVENT
import sys

import oslo_messaging
from oslo_config import cfg

url, *macs = sys.argv[1:]
conf = cfg.ConfigOpts()
conf([], project="nova")
oslo_messaging.set_transport_defaults("nova")
transport = oslo_messaging.get_notification_transport(conf, url=url.replace("amqp:", "rabbit:", 1))
addresses = [
    {
        "nova_object.name": "IpPayload",
        "nova_object.namespace": "nova",
        "nova_object.version": "1.0",
        "nova_object.data": {"mac": mac, "address": "10.0.0.10", "version": 4, "device_name": "tapce531f90-19"},
    }
    for mac in macs
]
for line in sys.stdin:
    host, event = line.split()
    payload = {
        "nova_object.name": "InstanceActionPayload",
        "nova_object.namespace": "nova",
        "nova_object.version": "1.9",
        "nova_object.data": {
            "uuid": "178b0921-8f85-4257-88b6-2e743b5a975c",
            "host": host,
            "ip_addresses": addresses,
        },
    }
    notifier = oslo_messaging.Notifier(
        transport,
        driver="messagingv2",
        publisher_id=f"nova-compute:{host}",
        topics=["versioned_notifications"],
    )
    notifier.info({}, event, payload)
transport.cleanup()
