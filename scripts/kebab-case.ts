/** `CheckRoles` → `check-roles`. */
export function kebabCase(id: string): string {
  return id.replace(/(?!^)([A-Z])/g, '-$1').toLowerCase();
}
