import { guard } from '../rules/index.ts';
import { checker } from './check.ts';

export const handler = checker(guard);
