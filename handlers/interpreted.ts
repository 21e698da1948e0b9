import * as z from 'zod';

// A schema that a start uses once costs more to turn into a function of its own than to interpret. Whoever imports this does so
// before all else: a schema asks when it is made. https://zod.dev/packages/core#configuration
z.config({ jitless: true });
