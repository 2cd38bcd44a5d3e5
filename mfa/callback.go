package mfa

import (
	"errors"
	"io"
	"net/http"
)

// ReadCallback reads the body of a carrier's callback, for channels: at most limit bytes, because it is held before its
// signature can be checked. When that fails it has answered, through refuse where somebody should hear of it.
func ReadCallback(w http.ResponseWriter, r *http.Request, limit int64, refuse func(status int, reason string)) (body []byte, ok bool) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		refuse(http.StatusRequestEntityTooLarge, "too_large")
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
	}
	return body, err == nil
}
