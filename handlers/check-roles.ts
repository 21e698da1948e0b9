import './interpreted.ts';
import { roles } from '../rules/index.ts';
import { checker } from './check.ts';

export const handler = checker(roles);
