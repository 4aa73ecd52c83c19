"""Pure building blocks: identifiers, time, money, refusals, cursors, texts. No I/O."""
