/**
 * The shapes of the local API under the names that the interface uses. They come from the node's own
 * description (`npm run types` writes api.gen.ts): ids are opaque strings, times RFC 3339 in UTC, latencies
 * milliseconds.
 */
import type { components } from '../api.gen'

type Schemas = components['schemas']

export type Account = Schemas['Account']
export type Lock = Schemas['Lock']
export type Safety = Schemas['Safety']
export type Device = Schemas['Peer']
export type Node = Schemas['Node']
/** One of the user's own devices; `Device` names anybody's. */
export type OwnDevice = Schemas['Device']
export type Devices = Schemas['Devices']
export type PendingDevice = Schemas['PendingDevice']
export type Progress = Schemas['Progress']
export type Chat = Schemas['Chat']
export type ChatChange = Schemas['ChangeInputBody']
export type Keys = Schemas['Keys']
export type Settings = Schemas['Settings']
export type Reaction = Schemas['Reaction']
export type Member = Schemas['Member']
export type Knock = Schemas['Knock']
export type Message = Schemas['Message']
export type MessageState = Message['state']
export type MessagePage = Schemas['Page']
export type Invite = Schemas['Invite']
export type Join = Schemas['Join']
export type JoinState = Join['state']
export type LiveEvent = Schemas['LiveEvent']

/** What went wrong, for a user to read; an answer's `status` where there was an answer. */
export type Problem = Schemas['ProblemNote'] & { status?: number }

export type JoinTarget = { link: string } | { address: string }
