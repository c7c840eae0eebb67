package store_test

import (
	"strings"
	"testing"

	"github.com/demes-chat/demes/internal/store"
)

// TestLookupsUseAnIndex asks SQLite how it would find what the store looks up:
// a walk through a table, or sorting what was found, grows with the history.
func TestLookupsUseAnIndex(t *testing.T) {
	db := rawDatabase(t, someProfile(t))
	plan := func(sql string) (steps []string) {
		rows, _, err := db.Prepare("EXPLAIN QUERY PLAN " + sql)
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		defer rows.Close()
		for rows.Step() {
			steps = append(steps, rows.ColumnText(3))
		}
		return steps
	}
	walks := func(sql string) bool {
		for _, step := range plan(sql) {
			if strings.Contains(step, "SCAN") || strings.Contains(step, "TEMP B-TREE") || strings.Contains(step, "AUTOMATIC") {
				return true
			}
		}
		return false
	}
	for _, sql := range store.Lookups {
		if walks(sql) {
			t.Errorf("%s\nis found by %q", sql, plan(sql))
		}
	}
	for _, sql := range []string{`SELECT * FROM content WHERE data = x''`, `SELECT * FROM held WHERE chat = 1 ORDER BY event`} {
		if !walks(sql) {
			t.Errorf("%s\nis found by %q: this test cannot fail", sql, plan(sql))
		}
	}
}
