/** A state machine as RFC 3261 section 17 draws it: a table of state x event -> next state, actions. */
export interface Cell<State, Action> {
  readonly next: State;
  readonly actions: readonly Action[];
}

/** A cell that is not there ignores its event. */
export type Table<State extends string, Event extends string, Action extends string> = Readonly<
  Record<State, Readonly<Partial<Record<Event, Cell<State, Action>>>>>
>;

export function go<State extends string, Action extends string>(
  next: State,
  ...actions: Action[]
): Cell<State, Action> {
  return { next, actions };
}
