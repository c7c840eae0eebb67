package store

import (
	"embed"
	"fmt"
	"strconv"
)

// schemaFiles are the steps of the schema: schema/n.sql leads from format n-1
// to n. Released steps never change.
//
//go:embed schema/*.sql
var schemaFiles embed.FS

// formats is how many steps there are, and so the format this program writes.
const formats = 1

// applicationID marks the database as one of DeMes ("DeMe").
const applicationID = 0x44654d65

// schemaStep returns the step that leads to a format.
func schemaStep(format int) (string, error) {
	text, err := schemaFiles.ReadFile("schema/" + strconv.Itoa(format) + ".sql")
	return string(text), err
}

// checkFormat refuses a database that this program must not write. It reads
// only.
func (c *conn) checkFormat(known int) (format int, err error) {
	if format, err = c.pragma("user_version"); err != nil {
		return 0, err
	}
	if format > known {
		return format, newer(format, known)
	}
	id, err := c.pragma("application_id")
	if err == nil && format > 0 && id != applicationID {
		err = damaged("its database is not one of DeMes", nil)
	}
	return format, err
}

// migrate brings the database from its format to the known one, all in one
// transaction: an error leaves it as it was.
func (c *conn) migrate(format, known int, step func(int) (string, error)) error {
	if format == known {
		return nil
	}
	return c.transact("BEGIN IMMEDIATE", func() error {
		for next := format + 1; next <= known; next++ {
			text, err := step(next)
			if err != nil {
				return fmt.Errorf("find schema %d: %w", next, err)
			}
			if err := c.db.Exec(text); err != nil {
				return fmt.Errorf("migrate to format %d: %w", next, err)
			}
		}
		return c.db.Exec(fmt.Sprintf("PRAGMA user_version = %d; PRAGMA application_id = %d", known, applicationID))
	})
}
