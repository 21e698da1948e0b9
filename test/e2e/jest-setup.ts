// jest reads `testTimeout` only globally, never per project.
jest.setTimeout(900_000);
