import type { Service, Surroundings } from './service.ts';

export class SecretsManagerService implements Service {
  protected readonly world: Surroundings;

  constructor(world: Surroundings) {
    this.world = world;
  }

  snapshot(): unknown {
    return {};
  }
}
