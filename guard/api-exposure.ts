/** What the domain names of a region tell of the way to an API. */
interface DomainReader {
  getDomainNames(input: object): Promise<readonly Domain[]>;
  getApiMappings(input: { DomainName: string }): Promise<readonly { readonly ApiId?: string | undefined }[]>;
}

interface Domain {
  readonly DomainName?: string | undefined;
  readonly DomainNameConfigurations?: readonly { readonly EndpointType?: string | undefined }[] | undefined;
  readonly MutualTlsAuthentication?: { readonly TruststoreUri?: string | undefined } | undefined;
  readonly RoutingMode?: string | undefined;
}

/** So many domain names are looked into; of more than that, one counts as leading to the API. */
const mostDomains = 20;

/**
 * Whether a custom domain name leads to an API from the internet for whoever has no client certificate: what is left of
 * the way to an API whose own endpoint is disabled. One read where every name asks for certificates (mutual TLS) or is
 * private, and one more for each of the others.
 * https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-mutual-tls.html
 */
export async function isOnOpenDomain(apiId: string, aws: DomainReader): Promise<boolean> {
  const domains = await aws.getDomainNames({});
  const open = domains.filter(
    ({ MutualTlsAuthentication, DomainNameConfigurations = [] }) =>
      MutualTlsAuthentication?.TruststoreUri === undefined &&
      !DomainNameConfigurations.some(({ EndpointType }) => EndpointType === 'PRIVATE'),
  );
  // What routing rules lead to is not listed among the mappings.
  if (open.length > mostDomains || open.some(({ RoutingMode = mappingsOnly }) => RoutingMode !== mappingsOnly)) return true;
  for (const { DomainName = '' } of open) {
    const mappings = await aws.getApiMappings({ DomainName });
    if (mappings.some(({ ApiId }) => ApiId === apiId)) return true;
  }
  return false;
}

const mappingsOnly = 'API_MAPPING_ONLY';

/** Whether an integration leads to a Lambda function, by its URI: the function's ARN, or API Gateway's path to it. */
export function leadsToFunction(uri: string | undefined): boolean {
  return /^arn:[^:]+:lambda:|^arn:[^:]+:apigateway:[^:]*:lambda:(path|action)\//.test(uri ?? '');
}

/** The ARN of that function (with its qualifier), where the URI names one; stage variables may stand in its place. */
export function functionIn(uri: string | undefined): string | undefined {
  return /arn:[^:/]+:lambda:[^:/]+:\d{12}:function:[\w:$-]+/.exec(uri ?? '')?.[0];
}
