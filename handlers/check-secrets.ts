import './interpreted.ts';
import { secrets } from '../rules/index.ts';
import { checker } from './check.ts';

export const handler = checker(secrets);
