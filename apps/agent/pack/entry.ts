#!/usr/bin/env node
import './older-node.ts';
import '../src/main.ts';
