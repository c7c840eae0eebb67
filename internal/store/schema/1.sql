-- Every data column but the secrets' is sealed: content, then a checksum over the row's key and
-- that content (row.go). Numbers are unsigned and below 2^63.

-- Small values of the profile itself.
CREATE TABLE profile (
    name TEXT PRIMARY KEY,
    data BLOB NOT NULL
) WITHOUT ROWID;

-- The chats, in the order in which they came. The other tables name a chat by
-- its number. data: the generation that the council's log is of.
CREATE TABLE chat (
    number INTEGER PRIMARY KEY,
    id     BLOB NOT NULL UNIQUE,
    data   BLOB NOT NULL
);

-- Small values of a chat.
CREATE TABLE value (
    chat INTEGER NOT NULL,
    name TEXT    NOT NULL,
    data BLOB    NOT NULL,
    PRIMARY KEY (chat, name)
) WITHOUT ROWID;

-- The council's log, without the compacted part.
CREATE TABLE raft (
    chat  INTEGER NOT NULL,
    idx   INTEGER NOT NULL,
    data  BLOB    NOT NULL,
    PRIMARY KEY (chat, idx)
) WITHOUT ROWID;

-- Events that are held and not settled. An event that settles moves from here
-- to settled, byte for byte, and back when it is unsettled: it is stored once.
CREATE TABLE held (
    chat   INTEGER NOT NULL,
    device BLOB    NOT NULL,
    seq    INTEGER NOT NULL,
    event  BLOB    NOT NULL,
    PRIMARY KEY (chat, device, seq)
) WITHOUT ROWID;

-- The settled log. An entry is an event (device, seq, event) or a record, which
-- stands in data. position is NULL when the entry has none.
CREATE TABLE settled (
    chat     INTEGER NOT NULL,
    idx      INTEGER NOT NULL,
    position INTEGER,
    device   BLOB,
    seq      INTEGER,
    event    BLOB,
    data     BLOB NOT NULL,
    PRIMARY KEY (chat, idx)
) WITHOUT ROWID;

-- No event settles twice (promise S3), and no position is given twice.
CREATE UNIQUE INDEX settled_event ON settled (chat, device, seq) WHERE device IS NOT NULL;
CREATE UNIQUE INDEX settled_position ON settled (chat, position) WHERE position IS NOT NULL;

-- Entries from before the settled log that are not proven yet: they move to settled
-- once they are, and contradict nothing until then. Their shape is the same.
CREATE TABLE past (
    chat     INTEGER NOT NULL,
    idx      INTEGER NOT NULL,
    position INTEGER,
    device   BLOB,
    seq      INTEGER,
    event    BLOB,
    data     BLOB NOT NULL,
    PRIMARY KEY (chat, idx)
) WITHOUT ROWID;

-- This device's own items that are numbered and not signed yet.
CREATE TABLE outbox (
    chat INTEGER NOT NULL,
    seq  INTEGER NOT NULL,
    data BLOB    NOT NULL,
    PRIMARY KEY (chat, seq)
) WITHOUT ROWID;

-- Records that hold keys. data: sealed once more, with AES-256-GCM (secret.go).
CREATE TABLE secret (
    chat  INTEGER NOT NULL,
    space TEXT    NOT NULL,
    name  TEXT    NOT NULL,
    data  BLOB    NOT NULL,
    PRIMARY KEY (chat, space, name)
) WITHOUT ROWID;

-- What was read in sealed events, whether the event is held, settled or neither.
-- expires is NULL when it never does; target is NULL when it amends nothing,
-- empty when it amends the chat, else the device and the seq of an event. Both
-- stand in data too, and are there to be looked up.
CREATE TABLE content (
    chat    INTEGER NOT NULL,
    device  BLOB    NOT NULL,
    seq     INTEGER NOT NULL,
    expires INTEGER,
    target  BLOB,
    data    BLOB    NOT NULL,
    PRIMARY KEY (chat, device, seq)
) WITHOUT ROWID;

CREATE INDEX content_expires ON content (chat, expires) WHERE expires IS NOT NULL;
CREATE INDEX content_target ON content (chat, target) WHERE target IS NOT NULL;
