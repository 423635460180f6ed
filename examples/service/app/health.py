"""Exit code 0 when the service answers."""

import os
import sys
from urllib.request import urlopen

with urlopen(f"http://127.0.0.1:{os.environ.get('PORT', '8080')}/healthz", timeout=2) as reply:
    sys.exit(0 if reply.status == 200 else 1)
