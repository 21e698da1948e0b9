import type { Format } from '../formats.ts';
import { reportOfScan } from '../report/model.ts';
import { page } from '../report/page.ts';

export const htmlReport: Format = (result) => page(reportOfScan(result)).trimEnd();
