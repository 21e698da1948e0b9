import './interpreted.ts';
import { vpc } from '../rules/index.ts';
import { checker } from './check.ts';

export const handler = checker(vpc);
