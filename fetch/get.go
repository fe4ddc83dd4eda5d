package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// largest bounds what is downloaded of one file, in bytes: several times what the largest set has.
const largest = 4 << 30

// errStalled says that a source has stopped sending.
var errStalled = errors.New("the server stopped sending")

// get asks once for what out does not hold yet and appends it. resumed says whether out held a part before.
func (o *Options) get(ctx context.Context, address string, f File, out file) (resumed bool, err error) {
	have, err := out.Seek(0, io.SeekEnd)
	if err != nil {
		return false, &localError{err}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return false, &permanentError{err}
	}
	if have > 0 {
		request.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	// The file as it is published: no compression on the way that would hide its length.
	request.Header.Set("Accept-Encoding", "identity")
	response, err := o.Client.Do(request)
	if err != nil {
		return have > 0, err
	}
	defer response.Body.Close()
	switch code := response.StatusCode; {
	case code == http.StatusPartialContent && have > 0:
		var start int64
		if _, err := fmt.Sscanf(response.Header.Get("Content-Range"), "bytes %d-", &start); err != nil || start != have {
			return true, restart(out, fmt.Errorf("the server sent another part than the one from byte %d", have))
		}
	case code == http.StatusRequestedRangeNotSatisfiable && have > 0:
		return true, nil // there is no more than what is there, and the checksum tells whether that is the file
	case code == http.StatusOK:
		if have > 0 { // the server sends the whole again
			if err := restart(out, nil); err != nil {
				return true, err
			}
			have = 0
		}
	case code >= 500 || code == http.StatusTooManyRequests || code == http.StatusRequestTimeout:
		return have > 0, fmt.Errorf("the server answered %s", response.Status)
	default:
		return have > 0, &permanentError{fmt.Errorf("the server answered %s", response.Status)}
	}
	resumed = have > 0
	total := int64(0)
	if response.ContentLength >= 0 {
		total = have + response.ContentLength
	}
	if total > largest {
		return resumed, &permanentError{fmt.Errorf("%d bytes are more than any data set has", total)}
	}
	alarm := time.AfterFunc(o.Stall, func() { cancel(errStalled) })
	defer alarm.Stop()
	buffer := make([]byte, 1<<16)
	for {
		n, err := response.Body.Read(buffer)
		alarm.Reset(o.Stall)
		if n > 0 {
			if _, err := out.Write(buffer[:n]); err != nil {
				return resumed, &localError{fmt.Errorf("%w; the part that is there is kept, and the same command goes on from it", err)}
			}
			if have += int64(n); have > largest {
				return resumed, &permanentError{errors.New("the server sends more than any data set has")}
			}
			o.Progress(f.Name, have, total)
		}
		switch {
		case err == io.EOF:
			return resumed, nil
		case err != nil && errors.Is(context.Cause(ctx), errStalled):
			return resumed, errStalled
		case err != nil:
			return resumed, fmt.Errorf("interrupted after %d bytes: %w", have, err)
		}
	}
}

// restart empties out and returns why, or what kept it from being emptied.
func restart(out file, why error) error {
	if err := out.Truncate(0); err != nil {
		return &localError{err}
	}
	if _, err := out.Seek(0, io.SeekStart); err != nil {
		return &localError{err}
	}
	return why
}
