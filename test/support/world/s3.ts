import type { Service, Surroundings } from './service.ts';

export class S3Service implements Service {
  protected readonly world: Surroundings;

  constructor(world: Surroundings) {
    this.world = world;
  }

  /** What lies in a bucket, for services that read it (Lambda, when code comes from S3). */
  object(_bucket: string, _key: string, _version?: string): Uint8Array | undefined {
    return undefined;
  }

  snapshot(): unknown {
    return {};
  }
}
