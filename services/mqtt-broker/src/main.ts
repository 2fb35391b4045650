import { runService, withAdmission } from '@signet/service';
import { startMqttBroker } from './app.ts';
import { mqttBrokerConfig } from './config.ts';

await runService('mqtt-broker', mqttBrokerConfig, withAdmission(startMqttBroker));
