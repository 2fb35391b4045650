import { openApi } from '../../services/admin-api/src/http/openapi.ts';
import { allRoutes, describedRoutes, type RouteParts } from '../../services/admin-api/src/http/routes.ts';
import type { Generator } from './document.ts';

/** The REST API of operators. Handlers are not called, so they are given nothing to work with. */
export const openapi: Generator = {
  file: 'openapi.json',
  generate: () => `${JSON.stringify(openApi(describedRoutes(allRoutes({} as RouteParts))), undefined, 2)}\n`,
};
