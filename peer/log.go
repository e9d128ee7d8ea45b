package peer

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/pion/logging"
)

// loggerFactory passes pion's messages on to a slog.Logger. Its warnings and
// errors speak of single packets and of candidates that lead nowhere, so they
// are notes for debugging; what ends a call is logged by the call.
type loggerFactory struct{ logger *slog.Logger }

func (f loggerFactory) NewLogger(scope string) logging.LeveledLogger {
	return leveled{f.logger.With("scope", scope)}
}

type leveled struct{ logger *slog.Logger }

const levelTrace = slog.LevelDebug - 4

func (l leveled) logf(level slog.Level, format string, args ...any) {
	if l.logger.Enabled(context.Background(), level) {
		l.logger.Log(context.Background(), level, fmt.Sprintf(format, args...))
	}
}

func (l leveled) Trace(msg string)                  { l.logf(levelTrace, "%s", msg) }
func (l leveled) Tracef(format string, args ...any) { l.logf(levelTrace, format, args...) }
func (l leveled) Debug(msg string)                  { l.logf(levelTrace, "%s", msg) }
func (l leveled) Debugf(format string, args ...any) { l.logf(levelTrace, format, args...) }
func (l leveled) Info(msg string)                   { l.logf(levelTrace, "%s", msg) }
func (l leveled) Infof(format string, args ...any)  { l.logf(levelTrace, format, args...) }
func (l leveled) Warn(msg string)                   { l.logf(slog.LevelDebug, "%s", msg) }
func (l leveled) Warnf(format string, args ...any)  { l.logf(slog.LevelDebug, format, args...) }
func (l leveled) Error(msg string)                  { l.logf(slog.LevelDebug, "%s", msg) }
func (l leveled) Errorf(format string, args ...any) { l.logf(slog.LevelDebug, format, args...) }
