import './interpreted.ts';
import { apis } from '../rules/index.ts';
import { checker } from './check.ts';

export const handler = checker(apis);
