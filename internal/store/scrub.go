package store

import (
	"encoding/binary"

	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"
)

// scrub stands above the encryption and mends a gap of secure_delete: SQLite
// overwrites a row that is deleted, but not the copies that it leaves behind when
// it splits a page and moves half of its rows to another. Those copies lie in
// the page's unallocated space, between its list of cells and the cells, whose
// contents mean nothing (https://sqlite.org/fileformat2.html#b_tree_pages). It
// is filled with zeros whenever a page is written to the database.
//
// The write-ahead log is left alone, since its checksums are over whole pages:
// Erase empties it.
type scrub struct{ vfs.VFS }

// OpenFilename implements vfs.VFSFilename.
func (s scrub) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	file, flags, err := vfsutil.WrapOpenFilename(s.VFS, name, flags)
	if err != nil || flags&vfs.OPEN_MAIN_DB == 0 {
		return file, flags, err
	}
	return &scrubFile{File: file}, flags, nil
}

// scrubFile is the database's file. It forwards what diskFile offers, and the
// encryption's PRAGMA.
type scrubFile struct {
	vfs.File
	page [blockSize]byte // one goroutine uses a file at a time, as its connection
}

var (
	_ vfs.FilePragma       = &scrubFile{}
	_ vfs.FileSharedMemory = &scrubFile{}
	_ vfs.FileSizeHint     = &scrubFile{}
	_ vfs.FileHasMoved     = &scrubFile{}
	_ vfs.FileLockState    = &scrubFile{}
	_ vfs.FileUnwrap       = &scrubFile{}
)

func (f *scrubFile) Pragma(name, value string) (string, error) {
	return vfsutil.WrapPragma(f.File, name, value)
}
func (f *scrubFile) SizeHint(size int64) error      { return vfsutil.WrapSizeHint(f.File, size) }
func (f *scrubFile) SharedMemory() vfs.SharedMemory { return vfsutil.WrapSharedMemory(f.File) }
func (f *scrubFile) HasMoved() (bool, error)        { return vfsutil.WrapHasMoved(f.File) }
func (f *scrubFile) LockState() vfs.LockLevel       { return vfsutil.WrapLockState(f.File) }
func (f *scrubFile) Unwrap() vfs.File               { return f.File }

// WriteAt implements io.WriterAt. SQLite writes whole pages.
func (f *scrubFile) WriteAt(p []byte, offset int64) (int, error) {
	if len(p) != blockSize || offset%blockSize != 0 {
		return f.File.WriteAt(p, offset)
	}
	copy(f.page[:], p)
	clear(unallocated(f.page[:], offset))
	return f.File.WriteAt(f.page[:], offset)
}

// maxScrubbed is the offset from which on pages are left alone, 128 GiB: the
// number of a page there may begin with the byte that marks a page of a tree,
// and every other kind of page begins with a page's number.
const maxScrubbed = blockSize << 25

// unallocated returns the part of a tree's page that nothing stands in; nil for
// other pages.
func unallocated(page []byte, offset int64) []byte {
	header := 0
	if offset == 0 {
		header = 100 // the database's own comes first
	}
	if offset >= maxScrubbed {
		return nil
	}
	cells := header
	switch page[header] {
	case 2, 5: // inner pages of indices and tables
		cells += 12
	case 10, 13: // their leaves
		cells += 8
	default:
		return nil
	}
	from := cells + 2*int(binary.BigEndian.Uint16(page[header+3:]))
	to := int(binary.BigEndian.Uint16(page[header+5:]))
	if to > len(page) || from > to {
		return nil // no page of ours: what is wrong with it shows when it is read
	}
	return page[from:to]
}
