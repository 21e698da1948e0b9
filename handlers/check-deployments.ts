import './interpreted.ts';
import { deployments } from '../rules/index.ts';
import { checker } from './check.ts';

export const handler = checker(deployments);
