import { CloudTrailClient, DescribeTrailsCommand, GetEventSelectorsCommand, GetTrailStatusCommand } from '@aws-sdk/client-cloudtrail';
import { callsOf } from './call.ts';
import { clientPerRegion } from './clients.ts';

const client = clientPerRegion((settings) => new CloudTrailClient(settings));
const call = callsOf('cloudtrail', (connection, command) => client(connection).send(command));

// Trails of another region, and of the organization's management account, hand on events of this one as well.
// https://docs.aws.amazon.com/service-authorization/latest/reference/list_awscloudtrail.html
const trail = { resource: 'arn:${AWS::Partition}:cloudtrail:*:*:trail/*' };

/** The trails that hand on events of a region, wherever their home is; CloudTrail has no pages of them. */
export const describeTrails = call('DescribeTrails', DescribeTrailsCommand, { resource: '*' });
export const getTrailStatus = call('GetTrailStatus', GetTrailStatusCommand, trail);
export const getEventSelectors = call('GetEventSelectors', GetEventSelectorsCommand, trail);
