import type { Bus } from '@signet/bus';
import {
  addBlockRule,
  addIdentity,
  Fingerprint,
  getAccountSettings,
  getHook,
  listBlockRules,
  listNotifications,
  listRedirects,
  OnboardingNotification,
  removeBlockRule,
  removeHook,
  removeRedirect,
  retryNotification,
  setAccountSettings,
  setHook,
  setRedirect,
} from '@signet/contracts';
import { z } from 'zod';
import { type AnyRoute, route } from '../route.ts';
import { inAccount, nothing, paging } from './shapes.ts';

const one = inAccount.extend({ id: z.string().min(1).max(512) });

/** How an account onboards devices: settings, blocks beforehand, second identities, redirects, its hook. */
export function onboardingRoutes(bus: Bus): AnyRoute[] {
  return [...settingsRoutes(bus), ...blockRoutes(bus), ...redirectRoutes(bus), ...hookRoutes(bus)];
}

function settingsRoutes(bus: Bus): AnyRoute[] {
  return [
    route({
      method: 'GET',
      path: '/v1/accounts/{account}/settings',
      summary: 'How the account onboards its devices',
      permission: 'devices:read',
      params: inAccount,
      query: nothing,
      response: getAccountSettings.output,
      handle: ({ params }) => bus.request(getAccountSettings, params),
    }),
    route({
      method: 'PUT',
      path: '/v1/accounts/{account}/settings',
      summary: 'Change some settings of the account; the others stay',
      permission: 'profiles:write',
      params: inAccount,
      query: nothing,
      body: setAccountSettings.input.shape.settings,
      response: setAccountSettings.output,
      handle: ({ params, body, operator }) =>
        bus.request(setAccountSettings, { ...params, settings: body, by: operator.name }),
    }),
    route({
      method: 'POST',
      path: '/v1/accounts/{account}/devices/identities',
      summary: 'Register the second bootstrap certificate of a device, an LDevID beside its IDevID',
      permission: 'devices:write',
      params: inAccount,
      query: nothing,
      body: addIdentity.input.pick({ fingerprint: true, certificate: true }),
      response: addIdentity.output,
      status: 201,
      handle: ({ params, body, operator }) =>
        bus.request(addIdentity, { ...params, ...body, by: operator.name }),
    }),
  ];
}

function blockRoutes(bus: Bus): AnyRoute[] {
  return [
    route({
      method: 'POST',
      path: '/v1/accounts/{account}/block-rules',
      summary:
        'Block devices before they are onboarded: a fingerprint, serial numbers, or all of a factory CA',
      permission: 'devices:write',
      params: inAccount,
      query: nothing,
      body: addBlockRule.input.pick({ target: true, reason: true }),
      response: addBlockRule.output,
      status: 201,
      handle: ({ params, body, operator }) =>
        bus.request(addBlockRule, { ...params, ...body, by: operator.name }),
    }),
    route({
      method: 'GET',
      path: '/v1/accounts/{account}/block-rules',
      summary: 'What is blocked before it is onboarded',
      permission: 'devices:read',
      params: inAccount,
      query: paging,
      response: listBlockRules.output,
      handle: ({ params, query }) => bus.request(listBlockRules, { ...params, ...query }),
    }),
    route({
      method: 'DELETE',
      path: '/v1/accounts/{account}/block-rules/{id}',
      summary: 'Remove such a block',
      permission: 'devices:write',
      params: one,
      query: nothing,
      response: removeBlockRule.output,
      status: 204,
      handle: ({ params: { account, id }, operator }) =>
        bus.request(removeBlockRule, { account, ruleId: id, by: operator.name }),
    }),
  ];
}

/** `account` stands for the account itself, a fingerprint for a device. */
const subjectOf = (account: string, id: string) =>
  id === 'account' ? { account } : { fingerprint: Fingerprint.parse(id) };

function redirectRoutes(bus: Bus): AnyRoute[] {
  return [
    route({
      method: 'PUT',
      path: '/v1/accounts/{account}/redirects/{id}',
      summary:
        'Have another instance do the handoff of a device, by its fingerprint, or all devices of the account (`account`)',
      permission: 'pki:write',
      params: one,
      query: nothing,
      body: setRedirect.input
        .pick({ url: true })
        .extend({ trustAnchors: setRedirect.input.shape.trustAnchors.default([]) }),
      response: setRedirect.output,
      handle: ({ params: { account, id }, body, operator }) =>
        bus.request(setRedirect, { account, subject: subjectOf(account, id), ...body, by: operator.name }),
    }),
    route({
      method: 'GET',
      path: '/v1/accounts/{account}/redirects',
      summary: 'Which devices another instance does the handoff of',
      permission: 'devices:read',
      params: inAccount,
      query: paging,
      response: listRedirects.output,
      handle: ({ params, query }) => bus.request(listRedirects, { ...params, ...query }),
    }),
    route({
      method: 'DELETE',
      path: '/v1/accounts/{account}/redirects/{id}',
      summary: 'Do the handoff here again',
      permission: 'pki:write',
      params: one,
      query: nothing,
      response: removeRedirect.output,
      status: 204,
      handle: ({ params: { account, id }, operator }) =>
        bus.request(removeRedirect, { account, subject: subjectOf(account, id), by: operator.name }),
    }),
  ];
}

function hookRoutes(bus: Bus): AnyRoute[] {
  return [
    route({
      method: 'PUT',
      path: '/v1/accounts/{account}/hook',
      summary:
        'Have a URL told of each onboarded device, once; the secret that signs the calls is shown this once',
      permission: 'profiles:write',
      params: inAccount,
      query: nothing,
      body: setHook.input.pick({ url: true }),
      response: setHook.output,
      handle: ({ params, body, operator }) => bus.request(setHook, { ...params, ...body, by: operator.name }),
    }),
    route({
      method: 'GET',
      path: '/v1/accounts/{account}/hook',
      summary: 'The onboarding hook',
      permission: 'devices:read',
      params: inAccount,
      query: nothing,
      response: getHook.output,
      handle: ({ params }) => bus.request(getHook, params),
    }),
    route({
      method: 'DELETE',
      path: '/v1/accounts/{account}/hook',
      summary: 'Remove the onboarding hook; what is on its way is dropped',
      permission: 'profiles:write',
      params: inAccount,
      query: nothing,
      response: removeHook.output,
      status: 204,
      handle: ({ params, operator }) => bus.request(removeHook, { ...params, by: operator.name }),
    }),
    route({
      method: 'GET',
      path: '/v1/accounts/{account}/hook/notifications',
      summary: 'Onboardings that the hook is to be told of, was told of, or could not be told of',
      permission: 'devices:read',
      params: inAccount,
      query: paging.extend({ state: OnboardingNotification.shape.state.default('dead') }),
      response: listNotifications.output,
      handle: ({ params, query }) => bus.request(listNotifications, { ...params, ...query }),
    }),
    route({
      method: 'POST',
      path: '/v1/accounts/{account}/hook/notifications/{id}/retry',
      summary: 'Try a dead notification again',
      permission: 'profiles:write',
      params: one,
      query: nothing,
      body: nothing,
      response: retryNotification.output,
      handle: ({ params: { account, id }, operator }) =>
        bus.request(retryNotification, { account, notificationId: id, by: operator.name }),
    }),
  ];
}
