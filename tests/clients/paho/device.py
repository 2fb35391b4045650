"""A device on paho-mqtt, driven by lines: what it is told comes on standard input, what it sees goes to standard output,
fields parted by tabs. tests/clients/device.ts has the other side."""

import ssl
import sys

import paho.mqtt.client as mqtt

host, port, device, ca, cert, key = sys.argv[1:]


class PatientSocket(ssl.SSLSocket):
    """paho gives the handshake as long as the keep-alive, so with 0 it would fail at once."""

    def settimeout(self, value):
        super().settimeout(value or 30)


def say(*fields):
    print("\t".join(str(field) for field in fields), flush=True)


def connected(client, _data, flags, reason, _properties):
    if reason.is_failure:
        say("refused", reason.value)
    else:
        say("connected", int(flags.session_present))


def disconnected(_client, _data, _flags, reason, _properties):
    say("disconnected", reason)


def received(_client, _data, message):
    text = message.payload[:64].decode(errors="replace")
    say("message", message.topic, message.qos, len(message.payload), text)


def subscribed(_client, _data, _id, codes, _properties):
    for code in codes:
        say("subscribed", code.value)


def published(_client, _data, _id, _code, _properties):
    say("published")


# connect <clean> <keep-alive> [<will topic> <will qos> <will text>]
_, clean, keep_alive, *will = sys.stdin.readline().rstrip("\n").split("\t")
client = mqtt.Client(
    mqtt.CallbackAPIVersion.VERSION2, client_id=device, clean_session=clean == "1", protocol=mqtt.MQTTv311
)
tls = ssl.create_default_context(cafile=ca)
tls.load_cert_chain(cert, key)
tls.sslsocket_class = PatientSocket
client.tls_set_context(tls)
client.reconnect_delay_set(min_delay=1, max_delay=1)
if will:
    client.will_set(will[0], will[2], int(will[1]))
client.on_connect = connected
client.on_disconnect = disconnected
client.on_message = received
client.on_subscribe = subscribed
client.on_publish = published
client.connect(host, int(port), int(keep_alive))
client.loop_start()

for line in sys.stdin:
    command, *words = line.rstrip("\n").split("\t")
    if command == "subscribe":
        client.subscribe(words[0], int(words[1]))
    elif command == "publish":
        # publish <topic> <qos> <bytes> <text>: the text, filled up to so many bytes
        topic, qos, length, text = words
        client.publish(topic, text.encode().ljust(int(length), b"."), int(qos))
    elif command == "disconnect":
        client.disconnect()
        client.loop_stop()
        break
