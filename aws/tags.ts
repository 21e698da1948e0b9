import { GetResourcesCommand, ResourceGroupsTaggingAPIClient } from '@aws-sdk/client-resource-groups-tagging-api';
import type { Call } from '../guard/call.ts';
import { clientPerRegion } from './clients.ts';
import { allPages } from './pages.ts';

const client = clientPerRegion((settings) => new ResourceGroupsTaggingAPIClient(settings));

interface Tagged {
  readonly arn: string;
  readonly tags: Readonly<Record<string, string>>;
}

/**
 * The functions of a region that have tags, or had some, all pages (100 a page).
 * https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/API_GetResources.html
 */
export const taggedFunctions: Call<'taggedFunctions', object, readonly Tagged[]> = {
  name: 'taggedFunctions',
  service: 'tag',
  operation: 'GetResources',
  permissions: [{ action: 'tag:GetResources', resource: '*' }],
  alreadyDone: [],
  run: (connection) =>
    allPages(async (PaginationToken) => {
      const page = await client(connection).send(
        new GetResourcesCommand({ ResourceTypeFilters: ['lambda:function'], ResourcesPerPage: 100, PaginationToken }),
      );
      const items = (page.ResourceTagMappingList ?? []).map(({ ResourceARN = '', Tags = [] }) => ({
        arn: ResourceARN,
        tags: Object.fromEntries(Tags.map(({ Key = '', Value = '' }) => [Key, Value])),
      }));
      return { items, next: page.PaginationToken };
    }),
};
