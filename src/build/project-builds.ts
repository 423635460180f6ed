/** What builds projects; loaded when one is built, since it brings the readers of YAML and of schemas along. */
export async function projectBuilds(): Promise<
  Pick<typeof import('./project.ts'), 'buildProject' | 'reportFailure'> &
    Pick<typeof import('./project-plan.ts'), 'planProject'> &
    Pick<typeof import('./project-facts.ts'), 'builtLayers'> &
    Pick<typeof import('./project-target.ts'), 'buildTarget' | 'foundImageOf'>
> {
  const [
    { buildProject, reportFailure },
    { planProject },
    { builtLayers },
    { buildTarget, foundImageOf },
  ] = await Promise.all([
    import('./project.ts'),
    import('./project-plan.ts'),
    import('./project-facts.ts'),
    import('./project-target.ts'),
  ]);
  return { buildProject, reportFailure, planProject, builtLayers, buildTarget, foundImageOf };
}
