import { Empty } from "../parts/states";
export default function Page() {
  return <Empty title="Not yet">…</Empty>;
}
