/** `GET /version`. The Kubernetes version whose behaviour the embedded API follows; `+carrel` says that it is not that server. */
export const VERSION_INFO = {
  major: '1',
  minor: '37',
  gitVersion: 'v1.37.2+carrel',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: '',
  compiler: '',
  platform: '',
}
