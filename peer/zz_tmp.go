package peer

type tmpFeedback struct{ NACK, PLI, FIR bool }
