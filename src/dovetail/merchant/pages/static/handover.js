"use strict";

/* Without this a person presses the button. */

document.querySelector("form[data-send]").submit();
