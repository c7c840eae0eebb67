package store_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/ncruces/go-sqlite3/util/vfsutil"
	"github.com/ncruces/go-sqlite3/vfs"

	"github.com/demes-chat/demes"
	"github.com/demes-chat/demes/internal/store"
)

// faultyVFS is the operating system's VFS with a disk that can be told to fail,
// and that knows what would be left of its files after a power cut.
type faultyVFS struct {
	vfs.VFS

	mu       sync.Mutex // guards what follows
	files    map[string]*faultyImage
	changes  int   // writes, truncations and syncs so far
	failAt   int   // the change that fails; 0: none
	failing  error // what it fails with
	forGood  bool  // every change after it fails too
	lazySync bool  // a planted bug: syncs do nothing
}

// faultyImage is one file as the disk has it: what is surely there, and what was
// written since the last sync, of which anything may be there.
type faultyImage struct {
	durable []byte
	pending []faultyWrite
}

// faultyWrite is one write, or with no data a truncation to the offset.
type faultyWrite struct {
	offset int64
	data   []byte
}

func (w faultyWrite) apply(image []byte) []byte {
	if w.data == nil {
		if w.offset < int64(len(image)) {
			return image[:w.offset]
		}
		return append(image, make([]byte, w.offset-int64(len(image)))...)
	}
	if end := w.offset + int64(len(w.data)); end > int64(len(image)) {
		image = append(image, make([]byte, end-int64(len(image)))...)
	}
	copy(image[w.offset:], w.data)
	return image
}

// faulty is registered once: SQLite keeps VFS for good. Tests that use it do not
// run beside each other.
var faulty = sync.OnceValue(func() *faultyVFS {
	f := &faultyVFS{VFS: vfs.Find("")}
	store.RegisterVFS("faulty", f)
	return f
})

// reset forgets all files and faults, and arms a new one.
func (f *faultyVFS) reset(failAt int, failing error, forGood bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.files, f.changes, f.lazySync = map[string]*faultyImage{}, 0, false
	f.failAt, f.failing, f.forGood = failAt, failing, forGood
}

func (f *faultyVFS) fired() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failAt > 0 && f.changes >= f.failAt
}

func (f *faultyVFS) Delete(name string, syncDir bool) error {
	f.mu.Lock()
	delete(f.files, name)
	f.mu.Unlock()
	return f.VFS.Delete(name, syncDir)
}

func (f *faultyVFS) OpenFilename(name *vfs.Filename, flags vfs.OpenFlag) (vfs.File, vfs.OpenFlag, error) {
	file, flags, err := vfsutil.WrapOpenFilename(f.VFS, name, flags)
	if err != nil {
		return nil, flags, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.files[name.String()] == nil {
		durable, _ := os.ReadFile(name.String())
		f.files[name.String()] = &faultyImage{durable: durable}
	}
	return &faultyFile{file, f, name.String()}, flags, nil
}

type faultyFile struct {
	vfs.File
	disk *faultyVFS
	name string
}

func (f *faultyFile) SharedMemory() vfs.SharedMemory { return vfsutil.WrapSharedMemory(f.File) }

// change counts one change and lets it fail. The caller holds the disk's mutex.
func (f *faultyFile) change() (*faultyImage, error) {
	d := f.disk
	if d.files[f.name] == nil {
		d.files[f.name] = &faultyImage{}
	}
	d.changes++
	if d.failAt > 0 && (d.changes == d.failAt || d.forGood && d.changes > d.failAt) {
		return d.files[f.name], d.failing
	}
	return d.files[f.name], nil
}

// WriteAt that fails writes half of what is new at the file's end, and nothing
// of what is there already: the system's cache changes its pages whole, and only
// new space can be refused.
func (f *faultyFile) WriteAt(p []byte, offset int64) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	image, err := f.change()
	if size, _ := f.File.Size(); err != nil && offset < size {
		return 0, err
	}
	if err != nil {
		p = p[:len(p)/2]
	}
	image.pending = append(image.pending, faultyWrite{offset, append([]byte{}, p...)})
	n, writeErr := f.File.WriteAt(p, offset)
	return n, errors.Join(err, writeErr)
}

func (f *faultyFile) Truncate(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	image, err := f.change()
	if err != nil {
		return err
	}
	image.pending = append(image.pending, faultyWrite{offset: size})
	return f.File.Truncate(size)
}

// Sync that fails leaves open what of it is there, as a disk's would.
func (f *faultyFile) Sync(vfs.SyncFlag) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	image, err := f.change()
	if err != nil || f.disk.lazySync {
		return err
	}
	for _, w := range image.pending {
		image.durable = w.apply(image.durable)
	}
	image.pending = nil
	return nil
}

// sectorSize is what a disk writes whole.
const sectorSize = 512

// cutPower writes to a new folder what a power cut now might leave: what was
// synced, and of the rest any writes, torn at any sectors.
func (f *faultyVFS) cutPower(t *testing.T, dir string, random *rand.Rand) string {
	t.Helper()
	to := t.TempDir()
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, image := range f.files {
		left := append([]byte{}, image.durable...)
		for _, w := range image.pending {
			switch random.IntN(3) {
			case 0: // lost
			case 1:
				left = w.apply(left)
			case 2:
				for from := 0; from < len(w.data); from += sectorSize {
					if random.IntN(2) == 0 {
						part := w.data[from:min(from+sectorSize, len(w.data))]
						left = faultyWrite{w.offset + int64(from), part}.apply(left)
					}
				}
			}
		}
		if err := os.WriteFile(filepath.Join(to, filepath.Base(name)), left, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"key", "mark", "profile.txt"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(to, name), data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// faultySteps is how many steps a script commits, with a checkpoint in the
// middle; faultyStride how far apart the changes are that are tried as the
// failing one, so that the script is cut everywhere in a few seconds.
const (
	faultySteps  = 4
	faultyStride = 5
)

// TestFailingChangesAreReportedAndGoneOnFrom lets one write, truncation or sync
// after the other fail once.
func TestFailingChangesAreReportedAndGoneOnFrom(t *testing.T) {
	disk := faulty()
	for code, failing := range map[demes.Code]error{
		demes.CodeStorage:     syscall.EIO,
		demes.CodeStorageFull: syscall.ENOSPC,
	} {
		for failAt := 1; ; failAt += faultyStride * 80 / trials(80) {
			disk.reset(failAt, failing, false)
			dir := t.TempDir()
			s, err := store.Open(dir, store.WithVFS("faulty"))
			if err != nil {
				wantProblem(t, err, code, "")
				s = openStore(t, dir, store.WithVFS("faulty"))
			}
			for n := uint64(1); n <= faultySteps; n++ {
				if err := s.Commit(stepBatches(n)); err != nil {
					wantProblem(t, err, code, "")
					if got, err := lastStep(s); err != nil || got != n-1 {
						t.Fatalf("change %d fails with %v: then the store stands at step %d, %v, want %d", failAt, failing, got, err, n-1)
					}
					commit(t, s, stepBatches(n)...)
				}
				if n == faultySteps/2 {
					_ = s.Checkpoint() // may be what fails; nothing depends on it
				}
			}
			fired := disk.fired()
			_ = s.Close() // its checkpoint may fail as well
			got, err := lastStep(openStore(t, dir))
			if err != nil || got != faultySteps {
				t.Fatalf("change %d fails with %v: after a restart the store stands at step %d, %v, want %d", failAt, failing, got, err, faultySteps)
			}
			if !fired {
				break
			}
		}
	}
}

// TestLogWithHalfABlockOpens is the state that a full disk or a power cut leaves
// when it stops a write inside a block.
func TestLogWithHalfABlockOpens(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, dir)
	commit(t, s, stepBatches(1)...)
	for _, extra := range []int{1, 512, 4095} {
		crashed := copyProfile(t, dir)
		log, err := os.OpenFile(filepath.Join(crashed, "demes.db-wal"), os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, err = log.Write(make([]byte, extra))
		if err = errors.Join(err, log.Close()); err != nil {
			t.Fatal(err)
		}
		if n, err := lastStep(openStore(t, crashed)); n != 1 || err != nil {
			t.Errorf("%d bytes of half a block: the store stands at step %d, %v, want 1", extra, n, err)
		}
	}
}

// powerTrial runs a script whose disk dies at some change, cuts the power and
// opens what is left. It returns an error when a promise is broken.
func powerTrial(t *testing.T, random *rand.Rand, failAt int, lazySync bool) error {
	disk := faulty()
	disk.reset(0, nil, false)
	dir := t.TempDir()
	s := openStore(t, dir, store.WithVFS("faulty"))
	disk.mu.Lock()
	disk.failAt, disk.failing, disk.forGood, disk.lazySync = disk.changes+failAt, syscall.EIO, true, lazySync
	disk.mu.Unlock()
	acknowledged := uint64(0)
	for n := uint64(1); n <= faultySteps; n++ {
		if err := s.Commit(stepBatches(n)); err != nil {
			break
		}
		acknowledged = n
		if random.IntN(3) == 0 {
			_ = s.Checkpoint()
		}
	}
	left := disk.cutPower(t, dir, random)
	s.Close()
	after, err := store.Open(left)
	if err != nil {
		return err
	}
	defer after.Close()
	n, err := lastStep(after)
	if err == nil && (n < acknowledged || n > acknowledged+1) {
		err = errors.New("acknowledged steps are missing, or others are there")
	}
	return err
}

func TestAcknowledgedBatchesSurvivePowerLoss(t *testing.T) {
	seed := rand.Uint64()
	for trial := range trials(80) {
		random := rand.New(rand.NewPCG(seed, uint64(trial)))
		failAt := 1 + random.IntN(300)
		if err := powerTrial(t, random, failAt, false); err != nil {
			t.Fatalf("seed %d, trial %d, power cut at change %d: %v", seed, trial, failAt, err)
		}
	}
}

// TestLazySyncLosesBatches plants the bug that the test above is there to find.
func TestLazySyncLosesBatches(t *testing.T) {
	for trial := range uint64(20) {
		random := rand.New(rand.NewPCG(1, trial))
		if err := powerTrial(t, random, 1+random.IntN(300), true); err != nil {
			return
		}
	}
	t.Error("20 power cuts of a disk that never syncs lost nothing: the trial cannot fail")
}
