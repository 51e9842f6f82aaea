import { readFileSync } from "node:fs";
import { test } from "vitest";
import { FUNCTIONS } from "/work/main/tests/golden/tpe-functions.js";
import { TpeSampler } from "/work/main/src/study/samplers/tpe.js";
import { Rng } from "/work/main/src/study/rng.js";
import { distributionsOf } from "/work/main/src/study/space.js";
test("cmp",()=>{
 const g=JSON.parse(readFileSync("/work/main/tests/golden/tpe.json","utf8"));
 for(const f of FUNCTIONS){ const t0=performance.now(); const ours:number[]=[];
  for(let seed=0;seed<40;seed++){ const h:any[]=[]; let best=Infinity; const s=new TpeSampler();
   for(let i=0;i<60;i++){ const params=s.propose(f.space,h,new Rng(seed,i,"x"),{direction:"minimize",fixed:{}}); const value=f.value(params); best=Math.min(best,value);
    h.push({number:i,trialId:i,state:"COMPLETE",value,params,distributions:{},intermediateValues:new Map(),userAttrs:{},systemAttrs:{}}); }
   ours.push(best);}
  const q=(v:number[],p:number)=>[...v].sort((a,b)=>a-b)[Math.floor(p*v.length)]!.toFixed(4);
  const o=g.regrets[f.name]; let u=0; for(const a of ours) for(const b of o) u+= a>b?1:a===b?.5:0; const z=(u-800)/Math.sqrt(40*40*81/12);
  console.log(f.name,"ours",q(ours,.25),q(ours,.5),q(ours,.75),"optuna",q(o,.25),q(o,.5),q(o,.75),"z(worse)",z.toFixed(2),((performance.now()-t0)/1000).toFixed(1)+"s");
 }
},120000);
