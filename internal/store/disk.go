package store

import (
	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"
	"github.com/ncruces/go-sqlite3/vfs/adiantum"
)

// encryptedVFS is how SQLite reaches the file: its own operating system layer,
// then disk, then the encryption, then scrub.
const encryptedVFS = "demes"

func init() { vfs.Register(encryptedVFS, encrypted(vfs.Find(""))) }

func encrypted(base vfs.VFS) vfs.VFS { return scrub{adiantum.Wrap(disk{base}, nil)} }

// disk mends two things below the encryption. It tells a full disk from a broken
// one: the layer below calls both an I/O error, and what the system said is gone
// by the time SQLite has rolled back. And it hides blocks that are not whole.
type disk struct{ vfs.VFS }

// OpenFilename implements vfs.VFSFilename.
func (d disk) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	file, flags, err := vfsutil.WrapOpenFilename(d.VFS, name, flags)
	if err != nil {
		return nil, flags, nameFull(err)
	}
	return diskFile{file}, flags, nil
}

// diskFile forwards what the layer below can do beyond vfs.File and SQLite asks
// for in this package's use.
type diskFile struct{ vfs.File }

var (
	_ vfs.FileSharedMemory = diskFile{}
	_ vfs.FileSizeHint     = diskFile{}
	_ vfs.FileHasMoved     = diskFile{}
	_ vfs.FileLockState    = diskFile{}
	_ vfs.FileUnwrap       = diskFile{}
)

func (f diskFile) WriteAt(p []byte, offset int64) (int, error) {
	n, err := f.File.WriteAt(p, offset)
	return n, nameFull(err)
}

func (f diskFile) Sync(flags vfs.SyncFlag) error  { return nameFull(f.File.Sync(flags)) }
func (f diskFile) Truncate(size int64) error      { return nameFull(f.File.Truncate(size)) }
func (f diskFile) SizeHint(size int64) error      { return nameFull(vfsutil.WrapSizeHint(f.File, size)) }
func (f diskFile) SharedMemory() vfs.SharedMemory { return vfsutil.WrapSharedMemory(f.File) }
func (f diskFile) HasMoved() (bool, error)        { return vfsutil.WrapHasMoved(f.File) }
func (f diskFile) LockState() vfs.LockLevel       { return vfsutil.WrapLockState(f.File) }
func (f diskFile) Unwrap() vfs.File               { return f.File }

// blockSize is the encryption's unit: SQLite's page.
const blockSize = 4096

// Size leaves out a last block that was not written whole, by a disk that was
// full or a power cut: it cannot be deciphered, so nothing that was synced is in
// it, and SQLite would take the failing read for a broken disk.
func (f diskFile) Size() (int64, error) {
	size, err := f.File.Size()
	return size &^ (blockSize - 1), err
}

func nameFull(err error) error {
	if err != nil && isDiskFull(err) {
		return sqlite3.FULL
	}
	return err
}
