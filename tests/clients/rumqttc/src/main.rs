//! A device on rumqttc, driven by lines: what it is told comes on standard input, what it sees goes to standard output,
//! fields parted by tabs. tests/clients/device.ts has the other side.

use rumqttc::{
    Client, Event, Incoming, LastWill, MqttOptions, Outgoing, QoS, SubscribeReasonCode, TlsConfiguration, Transport,
};
use std::io::BufRead;
use std::time::Duration;
use std::{env, fs, thread};

fn qos(text: &str) -> QoS {
    rumqttc::qos(text.parse().unwrap()).unwrap()
}

fn say(line: String) {
    println!("{line}");
}

fn main() {
    if env::args().nth(1).as_deref() == Some("--version") {
        println!("rumqttc");
        return;
    }
    rustls::crypto::ring::default_provider().install_default().unwrap();
    let args: Vec<String> = env::args().collect();
    let [_, host, port, id, ca, cert, key] = args.as_slice() else {
        panic!("usage: host port id ca cert key");
    };
    let mut lines = std::io::stdin().lock().lines();
    // connect <clean> <keep-alive> [<will topic> <will qos> <will text>]
    let first = lines.next().unwrap().unwrap();
    let words: Vec<&str> = first.split('\t').collect();
    let mut options = MqttOptions::new(id, host, port.parse().unwrap());
    options.set_clean_session(words[1] == "1");
    options.set_keep_alive(Duration::from_secs(words[2].parse().unwrap()));
    options.set_max_packet_size(1 << 20, 1 << 20);
    if words.len() > 3 {
        options.set_last_will(LastWill::new(words[3], words[5], qos(words[4]), false));
    }
    options.set_transport(Transport::tls_with_config(TlsConfiguration::Simple {
        ca: fs::read(ca).unwrap(),
        alpn: None,
        client_auth: Some((fs::read(cert).unwrap(), fs::read(key).unwrap())),
    }));
    let (client, mut connection) = Client::new(options, 100);
    thread::spawn(move || {
        for event in connection.iter() {
            match event {
                Ok(Event::Incoming(Incoming::ConnAck(ack))) => say(format!("connected\t{}", ack.session_present as u8)),
                Ok(Event::Incoming(Incoming::Publish(message))) => say(format!(
                    "message\t{}\t{}\t{}\t{}",
                    message.topic,
                    message.qos as u8,
                    message.payload.len(),
                    String::from_utf8_lossy(&message.payload[..message.payload.len().min(64)])
                )),
                Ok(Event::Incoming(Incoming::SubAck(ack))) => {
                    for code in ack.return_codes {
                        match code {
                            SubscribeReasonCode::Success(qos) => say(format!("subscribed\t{}", qos as u8)),
                            SubscribeReasonCode::Failure => say("subscribed\t128".into()),
                        }
                    }
                }
                Ok(Event::Incoming(Incoming::PubAck(_) | Incoming::PubComp(_))) => say("published".into()),
                Ok(Event::Outgoing(Outgoing::Disconnect)) => std::process::exit(0),
                Ok(_) => {}
                Err(error) => {
                    say(format!("disconnected\t{error}").replace('\n', " "));
                    thread::sleep(Duration::from_millis(100));
                }
            }
        }
    });
    for line in lines {
        let line = line.unwrap();
        let words: Vec<&str> = line.split('\t').collect();
        match words.as_slice() {
            ["subscribe", filter, level] => client.subscribe(*filter, qos(level)).unwrap(),
            // publish <topic> <qos> <bytes> <text>: the text, filled up to so many bytes
            ["publish", topic, level, bytes, text] => {
                let mut payload = text.as_bytes().to_vec();
                payload.resize(payload.len().max(bytes.parse().unwrap()), b'.');
                client.publish(*topic, qos(level), false, payload).unwrap();
                if *level == "0" {
                    say("published".into());
                }
            }
            ["disconnect"] => client.disconnect().unwrap(),
            _ => panic!("{line}"),
        }
    }
}
